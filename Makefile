proto: 
